import { LRUCache } from 'lru-cache'

/** A colour, and what can be read on it and what can be read of it; all as CSS writes them. */
interface Tint {
  color: string
  on: '#fff' | '#000'
  /** Where to darken or lighten the colour to, when the words on it must stay as easy to read. */
  away: '#fff' | '#000'
  /** The colour as text, where the page is light and where it is dark. */
  onLight: string
  onDark: string
}

/** Works out what goes with a colour (`#rrggbb`), so that every text keeps 4.5:1; throws where it is not one. */
export const tint = (color: string): Tint => {
  const known = tints.get(color)
  if (known) return known
  const made = workOut(color)
  tints.set(color, made)
  return made
}

// A workspace has one colour for very many pages.
const tints = new LRUCache<string, Tint>({ max: 500 })

const workOut = (color: string): Tint => {
  const given = channels(color)
  const on = onBrand(color)
  const away = on === '#fff' ? '#000' : '#fff'
  return { color, on, away, onLight: readable(given, lightest, black), onDark: readable(given, darkest, white) }
}

/** Black or white, whichever reads better on the colour: 4.5:1 or more on any (WCAG 2.2, 1.4.3). */
export const onBrand = (color: string): '#fff' | '#000' => {
  const given = channels(color)
  return contrast(given, white) >= contrast(given, black) ? '#fff' : '#000'
}

type Color = readonly [red: number, green: number, blue: number]

const white: Color = [255, 255, 255]
const black: Color = [0, 0, 0]
/** The least friendly grounds that coloured text stands on, as lido.css has them. */
const lightest: Color = [0xe6, 0xe9, 0xed]
const darkest: Color = [0x26, 0x30, 0x3a]

const channels = (color: string): Color => {
  // It ends up inside a style element, where escaping for HTML would not hold a wrong one back.
  if (!/^#[0-9a-f]{6}$/i.test(color)) throw new Error(`not a colour: ${JSON.stringify(color)}`)
  const bits = Number.parseInt(color.slice(1), 16)
  return [bits >> 16, (bits >> 8) & 255, bits & 255]
}

/** Mixes a colour towards black or white, no further than it takes to read it on the ground. */
const readable = (color: Color, ground: Color, towards: Color): string => {
  for (let part = 0; part < 1; part += 0.05) {
    const mixed = mix(color, towards, part)
    if (contrast(mixed, ground) >= 4.5) return hex(mixed)
  }
  return hex(towards)
}

const mix = (from: Color, to: Color, part: number): Color => {
  const channel = (at: 0 | 1 | 2) => Math.round(from[at] + (to[at] - from[at]) * part)
  return [channel(0), channel(1), channel(2)]
}

const hex = (color: Color) => `#${color.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`

/** WCAG 2.2, "contrast ratio". */
const contrast = (one: Color, other: Color) => {
  const [a, b] = [luminance(one), luminance(other)]
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}

/** WCAG 2.2, "relative luminance". */
const luminance = ([red, green, blue]: Color) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)

const linear = (channel: number) => {
  const part = channel / 255
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
}
