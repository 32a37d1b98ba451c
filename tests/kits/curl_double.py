"""As much of curl as the line of the banner uses, so that a shell can run that line where there is no curl."""

import argparse

import requests


def main() -> None:
    """curl -sS -w '\\n' [-H HEADER]... [-d BODY] URL, or the URL before the options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-sS", action="store_true", required=True)
    parser.add_argument("-w", required=True)
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d")
    parser.add_argument("url")
    asked = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in asked.H)
    method = "GET" if asked.d is None else "POST"
    answer = requests.request(method, asked.url, data=asked.d, headers=headers, timeout=60)
    print(answer.text, end=asked.w.replace("\\n", "\n"))


if __name__ == "__main__":
    main()
