"""Register, login, autoLogin; tokens and sessions."""
