"""Kinds of files that tools/import copies into HDF5, a module each. A module's docstring says what
it does and shows a command; add_arguments(parser) names its arguments, run(arguments) does it:
memory is bounded whatever the size, a dataset that exists is refused, and nothing is left
half-written. What a user can mend is a BadInput."""


class BadInput(Exception):
    """One sentence for the user."""
