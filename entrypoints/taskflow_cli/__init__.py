"""The command `taskflow`: `taskflow_cli.main:main`. Nothing heavy is imported before it is needed."""
