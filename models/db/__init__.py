"""The one door to the database: MySQL (or MariaDB) and SQLite behind the same few calls.

SQL above this package is the portable subset with ``%s`` for parameters. Where the dialects differ, the
difference is a method of ``Dialect``. Driver errors stop here: they become ``DuplicateKey``, or an ``AppError``
``5001 database_unavailable``; anything else is a bug and stays what it is.
"""

from models.db.base import AlreadyThere, Conflict, Database, Dialect, DuplicateKey, Row, Tx, marks, rows_of, text
from models.db.opening import open_database

__all__ = [
    "AlreadyThere",
    "Conflict",
    "Database",
    "Dialect",
    "DuplicateKey",
    "Row",
    "Tx",
    "marks",
    "open_database",
    "rows_of",
    "text",
]
