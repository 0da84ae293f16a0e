/** What `GET /api/user/info` gives. */
export interface User {
  id: string;
  username: string | null;
  nickname: string;
  avatarUrl: string;
  /** Masked. */
  phone: string | null;
  email: string | null;
  roles: string[];
  /** RFC 3339, UTC. */
  createdAt: string;
  lastLoginAt: string;
  bindings?: { appid: string; kind: string; boundAt: string }[];
}

/** A sign-in: with the tokens where `cookie="off"`, else with `xsrfToken`. */
export interface SignIn {
  user: User;
  sessionId: string;
  isNewUser: boolean;
  xsrfToken?: string;
  accessToken?: string;
  refreshToken?: string;
  /** Seconds. */
  expiresIn?: number;
  refreshExpiresIn?: number;
}
