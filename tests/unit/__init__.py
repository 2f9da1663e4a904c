"""Fast and pure: state in, value out. No mocks, no sleeping; time is an argument."""
