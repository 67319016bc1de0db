"""Solves iMOPSE `.def` files with OR-Tools CP-SAT, to compare with `wheeltapper schedule solve`.

Usage: cp_sat.py SECONDS[,SECONDS...] WORKERS FILE...

Prints one JSON line per file and time limit: file, seconds, makespan, bound.
"""

import json
import re
import sys
from pathlib import Path

from ortools.sat.python import cp_model


def read_def(path):
    """Returns the technicians' skills and the tasks (duration, skill, level, predecessors), numbered from 1."""
    technicians, tasks, section = [], [], None
    for line in Path(path).read_text().splitlines():
        if line.startswith("ResourceID"):
            section = "technicians"
        elif line.startswith("TaskID"):
            section = "tasks"
        elif line[:1].isdigit():
            skills = {name: int(level) for name, level in re.findall(r"(Q\d+):\s*(\d+)", line)}
            if section == "technicians":
                technicians.append(skills)
            else:
                fields = line.split()
                (skill, level), *_ = skills.items()
                tasks.append((int(fields[1]), skill, level, [int(field) for field in fields[4:]]))
    return technicians, tasks


def solve(technicians, tasks, seconds, workers):
    """Returns the best makespan and the lower bound after `seconds`."""
    model = cp_model.CpModel()
    horizon = sum(task[0] for task in tasks)
    intervals = [[] for _ in technicians]
    starts = []
    makespan = model.new_int_var(0, horizon, "makespan")
    for duration, skill, level, _ in tasks:
        start = model.new_int_var(0, horizon, "")
        starts.append(start)
        model.add(start + duration <= makespan)
        present = []
        for index, skills in enumerate(technicians):
            if skills.get(skill, -1) >= level:
                literal = model.new_bool_var("")
                present.append(literal)
                intervals[index].append(model.new_optional_fixed_size_interval_var(start, duration, literal, ""))
        model.add_exactly_one(present)
    for each in intervals:
        model.add_no_overlap(each)
    for index, task in enumerate(tasks):
        for predecessor in task[3]:
            model.add(starts[index] >= starts[predecessor - 1] + tasks[predecessor - 1][0])
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return int(solver.objective_value) if found else None, int(solver.best_objective_bound)


def main():
    """Solves each file with each time limit."""
    limits = [float(limit) for limit in sys.argv[1].split(",")]
    workers = int(sys.argv[2])
    for path in sys.argv[3:]:
        technicians, tasks = read_def(path)
        for seconds in limits:
            makespan, bound = solve(technicians, tasks, seconds, workers)
            row = {"file": Path(path).name, "seconds": seconds, "makespan": makespan, "bound": bound}
            print(json.dumps(row), flush=True)


main()
