"""Measurements of a running TaskFlow. They are run by hand, never as tests.

python -m benchmarks.scale    cost of each question from 20,000 to 2,000,000 tasks
python -m benchmarks.load     requests a second and CPU of each, beside a bare reference
python -m benchmarks.faults   whether anything is lost or doubled while everything is killed
python -m benchmarks.jobs     what background jobs cost, and what must not slow them down
"""
