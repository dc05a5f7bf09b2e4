/**
 * A code as typed, in plain digits: full-width and Arabic ones are what some keyboards write. The spaces and dashes that
 * people group digits by are gone.
 */
export const plainCode = (typed: string): string =>
  typed
    .normalize('NFKC')
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf))
    .replace(/[\s\p{Pd}\p{Cf}]/gu, '')
