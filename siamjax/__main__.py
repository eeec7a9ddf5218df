"""`python -m siamjax`: the same as `siamjax`."""

from siamjax.cli import main

if __name__ == "__main__":
    main()
