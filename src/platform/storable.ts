/** Whether PostgreSQL takes all texts of a value: none has a NUL or half of a character (a lone surrogate). */
export const isStorable = (value: unknown): boolean => {
  // Not by recursion: whoever sends a value says how deep it is.
  const left = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one === 'string' && (one.includes('\0') || !one.isWellFormed())) return false
    if (typeof one === 'object' && one !== null) for (const pair of Object.entries(one)) left.push(...pair)
  }
  return true
}

/** A text that others had a say in, as one line of readable characters that PostgreSQL takes, and no longer than `most`. */
export const plainLine = (text: string, most: number): string =>
  text
    .replace(/[\p{C}\p{Z}\s]+/gu, ' ')
    .trim()
    .slice(0, most)
    .toWellFormed()
