"""Callbacks from WeChat and partners: checked, kept, answered, and then worked on."""
