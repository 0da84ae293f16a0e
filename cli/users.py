"""``kaimen users``: the group; its commands are in modules of their own."""

import click


@click.group()
def users() -> None:
    """Users: list, show, disable, enable, import, merge, unmerge, delete."""
