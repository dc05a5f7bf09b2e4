/** A line that says whether something is at least what it has to be. */
export const atLeast = (what: string, found: number, least: number): string =>
  verdict(found >= least, what, `${fixed(found, 2)} (at least ${fixed(least, 2)})`)

/** A line that says whether something is at most what it may be. */
export const atMost = (what: string, found: number, most: number, digits: number): string =>
  verdict(found <= most + 0.005, what, `${fixed(found, digits)} (at most ${fixed(most, digits)})`)

export const verdict = (met: boolean, what: string, figures: string): string =>
  `${met ? 'met   ' : 'MISSED'}  ${what.padEnd(58)} ${figures}`

/** Cells in columns of a width; the first is a name. */
export const row = (cells: string[], columns: Column[]): string =>
  cells
    .map((cell, index) => {
      const width = columns[index]?.[1] ?? 8
      return index === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    .join('')

export type Column = [title: string, width: number]

export const fixed = (value: number, digits: number): string => (Number.isFinite(value) ? value.toFixed(digits) : '-')

export const megabytes = (bytes: number): string => fixed(bytes / 2 ** 20, 0)
