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
