"""QR login: a browser shows a code, a phone confirms, the browser is signed in."""
