"""What was launched, refused and spent: the audit and the budgets, through one door.

`database.Ledger` is the door. Nothing is handed on here: importing this package loads nothing.
"""
