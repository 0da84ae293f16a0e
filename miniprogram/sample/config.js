// Where Kaimen is, for each version of the mini-program. `scripts/run` listens on 127.0.0.1:8000.
module.exports = {
  baseUrl: {
    develop: 'http://127.0.0.1:8000',
    trial: 'https://login.example.com',
    release: 'https://login.example.com',
  },
  policy: { policy: 'privacy', version: '2026-11' },
}
