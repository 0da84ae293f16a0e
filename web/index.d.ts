export * from "./kaimen-session.js";
export { KaimenLogin } from "./kaimen-login.js";
export type { Channel, Failure, KaimenLoginEvents, LoginState, Scanner } from "./kaimen-login.js";
