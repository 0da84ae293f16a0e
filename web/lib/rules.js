// The server's rules for usernames and passwords, so that a person hears of them before sending. It checks again.

const USERNAME = /^[A-Za-z0-9]{3,20}$/;
const LENGTH = [8, 128];

const RULES = {
  ruleLength: (chars) => chars.length >= LENGTH[0] && chars.length <= LENGTH[1],
  ruleLower: (chars) => chars.some((char) => /\p{Ll}/u.test(char)),
  ruleUpper: (chars) => chars.some((char) => /\p{Lu}/u.test(char)),
  ruleDigit: (chars) => chars.some((char) => /\p{Nd}/u.test(char)),
  ruleSpecial: (chars) => chars.some((char) => !/[\p{L}\p{N}]/u.test(char)),
};
export const RULE_NAMES = Object.keys(RULES);

export function isUsername(text) {
  return USERNAME.test(text);
}

/** The names of the rules that the password does not keep yet. */
export function brokenRules(password) {
  const chars = [...password];
  return RULE_NAMES.filter((name) => !RULES[name](chars));
}
