"""Connections of blocking clients: FTP, SFTP, SMB and REST services."""
