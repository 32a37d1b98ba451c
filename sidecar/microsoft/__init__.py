"""Where it goes: Microsoft Advertising's REST API and its sign-in. Its PascalCase lives here only."""
