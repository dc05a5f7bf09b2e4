import type { Words } from '../platform/words.ts'

/** What a device is called: its browser and its system, as far as they can be told; else `unknown`, a key of the words. */
export const deviceName = (agent: string | undefined, { t }: Words, unknown = 'passkey.name.unknown'): string => {
  const browser = firstOf(browsers, agent)
  const system = firstOf(systems, agent)
  if (browser && system) return t('passkey.name', { browser, system })
  return browser ?? system ?? t(unknown)
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
