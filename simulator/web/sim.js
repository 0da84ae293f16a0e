// The simulator's control API, and the phone's requests to the backend.

export class SimError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function call(method, path, body) {
  const response = await fetch(path, { method, body: body && JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new SimError(reply.error, response.status);
  return reply;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
