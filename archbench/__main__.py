"""`python -m archbench` is `archbench`."""

from archbench.cli import main

if __name__ == "__main__":
    main()
