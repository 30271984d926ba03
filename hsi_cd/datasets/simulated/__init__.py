"""A scene pair with known truth, from formulas alone."""
