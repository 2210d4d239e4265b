"""Connections of blocking clients: a `link` to a file server (FTP, SFTP, SMB), a session to a REST service.

`server` and `rest` are the bases of the filesystems; `refusals` makes errors that are the client library's as
well.
"""
