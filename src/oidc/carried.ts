/** What a token tells because of the token that it was exchanged for: who acts, and how its person was authenticated. */
const carried = new WeakMap<object, Record<string, unknown>>()

export const carry = (token: object, claims: Record<string, unknown>): void => {
  carried.set(token, claims)
}

/** Those claims, together with what else a token tells; undefined where there are none at all. */
export const withCarried = (
  token: object,
  told: Record<string, unknown> | undefined,
): Record<string, unknown> | undefined => {
  const more = carried.get(token)
  return more ? { ...told, ...more } : told
}
