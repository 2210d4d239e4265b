"""Connections of blocking clients: a `link` to a file server (FTP, SFTP, SMB), a session to a REST service.

A link also raises the error of a refused login. `server` and `rest` are the bases of the filesystems;
`refusals` makes errors that are also of the client library's classes.
"""
