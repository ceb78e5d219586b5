"""datarun trains and tests submissions on data sets, fold by fold."""

__version__ = "1.0.0"
