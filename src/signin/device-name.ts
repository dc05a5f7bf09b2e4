import type { Words } from '../platform/words.ts'

/** What a new passkey is called: the browser and the system that it was made with, as far as they can be told. */
export const deviceName = (agent: string | undefined, { t }: Words): string => {
  const browser = firstOf(browsers, agent)
  const system = firstOf(systems, agent)
  if (browser && system) return t('passkey.name', { browser, system })
  return browser ?? system ?? t('passkey.name.unknown')
}

const firstOf = (known: [RegExp, string][], agent = ''): string | undefined =>
  known.find(([mark]) => mark.test(agent))?.[1]

// Most browsers claim to be those further down, too.
const browsers: [RegExp, string][] = [
  [/\bEdgA?(iOS)?\//, 'Edge'],
  [/\b(OPR|OPiOS)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b((Headless)?Chrome|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
]
const systems: [RegExp, string][] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
]
