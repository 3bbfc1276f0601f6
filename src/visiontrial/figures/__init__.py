"""The figures and tables of the chapters, each with its description in words; one module per chapter."""
