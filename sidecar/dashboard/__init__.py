"""The dashboard: one page over the JSON API, served as files without a build step."""
