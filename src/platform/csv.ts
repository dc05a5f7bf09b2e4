/** A line of CSV (RFC 4180), in which no cell is taken for a formula. */
export const csvLine = (cells: readonly string[]): string => `${cells.map(quoted).join(',')}\r\n`

// A spreadsheet takes what begins like this for a formula (OWASP, CSV injection); an import takes the quote away again.
const quoted = (cell: string): string => {
  const harmless = /^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n\t]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
