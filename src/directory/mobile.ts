import { createRequire } from 'node:module'

type Library = typeof import('libphonenumber-js/mobile')

/**
 * Reads a mobile number in E.164; one without a country code as of `country` (ISO 3166-1 alpha-2), where that is given.
 * Undefined where it is no mobile number that could be in use, or has an extension or letters in it.
 */
export const readMobile = (text: string, country?: string | null): string | undefined => {
  const number = parse(text, country)
  return number?.isValid() ? number.number : undefined
}

/** The country of a number in E.164 (ISO 3166-1 alpha-2); `+` and its calling code where it belongs to none. */
export const countryOf = (mobile: string): string => {
  const number = parse(mobile, undefined)
  return number?.country ?? `+${number?.countryCallingCode ?? mobile.slice(1, 4)}`
}

/** Whether a text is the code of a country that has telephone numbers (ISO 3166-1 alpha-2). */
export const isCountry = (code: string): boolean => library().isSupportedCountry(code)

// NFKC makes full-width digits plain; digits of other scripts are read by the library.
const parse = (typed: string, country: string | null | undefined) => {
  const text = typed.normalize('NFKC').trim().replace(/^00/, '+')
  if (!/^\+?[\p{Nd}\s()./\p{Pd}]{5,40}$/u.test(text) || !(text.startsWith('+') || country)) return undefined
  const { parsePhoneNumberFromString } = library()
  const hint = country ? { defaultCountry: country as 'CH' } : {}
  return parsePhoneNumberFromString(text, { ...hint, extract: false })
}

/** Loaded at the first number: its tables take 14 MB and 25 ms. */
const library = (): Library => {
  loaded ??= require('libphonenumber-js/mobile') as Library
  return loaded
}

const require = createRequire(import.meta.url)
let loaded: Library | undefined
