"""`python -m rec.cli`: the `rec` command without its script on PATH."""

from rec.cli import main

if __name__ == "__main__":
    main()
