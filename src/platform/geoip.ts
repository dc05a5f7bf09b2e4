import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import ipaddr from 'ipaddr.js'

/** Where an address is, roughly: a country (ISO 3166-1 alpha-2), and degrees where the file has them. */
export interface Spot {
  country: string
  latitude?: number
  longitude?: number
}

export interface Geoip {
  find(ip: string): Spot | undefined
  /** How many ranges are known. */
  ranges: number
}

/** More lines than any database for the whole world has; each costs 15 bytes. */
const mostRanges = 20_000_000

/**
 * Reads a file of lines `network,country[,latitude,longitude]`, as `192.0.2.0/24,CH,47.37,8.54`, in any order; a first
 * line that names the columns and lines that begin with `#` are passed over. No two ranges may overlap. Of IPv6 the first
 * 64 bits count. Throws with the number of the line that cannot be read.
 */
export const openGeoip = async (path: string): Promise<Geoip> => {
  const tables = { ipv4: emptyTable(), ipv6: emptyTable() }
  let number = 0
  for await (const line of createInterface({
    input: createReadStream(path, 'utf8'),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number += 1
    const text = number === 1 ? line.replace(/^\uFEFF/, '') : line
    if (text === '' || text.startsWith('#') || (number === 1 && /^network,/i.test(text))) continue
    const read = readLine(text)
    if (!read) throw new Error(`line ${number} is no network,country[,latitude,longitude]`)
    if (read.bits <= 64) add(tables[read.kind], read)
    if (tables.ipv4.size + tables.ipv6.size > mostRanges) throw new Error(`there are more than ${mostRanges} ranges`)
  }
  const found = { ipv4: sorted(tables.ipv4), ipv6: sorted(tables.ipv6) }
  const ranges = found.ipv4.size + found.ipv6.size
  if (ranges === 0) throw new Error('there is no range in it')
  return {
    ranges,
    find: (ip) => {
      if (!ipaddr.isValid(ip)) return undefined
      const address = ipaddr.process(ip)
      return findIn(found[address.kind()], keyOf(address))
    },
  }
}

/** Ranges as columns: 15 bytes each, where an object would take a hundred. */
interface Table {
  size: number
  /** The first 64 bits of where a range begins; an IPv4 address stands in the upper half. */
  starts: BigUint64Array
  bits: Uint8Array
  /** Two letters as one number. */
  countries: Uint16Array
  /** Hundredths of degrees, about a kilometre; `nowhere` where the file has none. */
  latitudes: Int16Array
  longitudes: Int16Array
}

const nowhere = -32_768

const tableOf = (length: number): Table => ({
  size: 0,
  starts: new BigUint64Array(length),
  bits: new Uint8Array(length),
  countries: new Uint16Array(length),
  latitudes: new Int16Array(length),
  longitudes: new Int16Array(length),
})

const emptyTable = () => tableOf(1024)

interface Row extends Spot {
  kind: 'ipv4' | 'ipv6'
  start: bigint
  bits: number
}

const readLine = (line: string): Row | undefined => {
  const [network = '', country = '', latitude = '', longitude = '', ...more] = line
    .split(',')
    .map((part) => part.trim().replace(/^"(.*)"$/, '$1'))
  const spot = degreesOf(latitude, longitude)
  const range = rangeOf(network)
  if (!spot || !range || !/^[A-Z]{2}$/i.test(country) || more.length > 0) return undefined
  const [address, bits] = range
  const start = keyOf(address) & maskOf(bits, address.kind())
  return { kind: address.kind(), start, bits, country: country.toUpperCase(), ...spot }
}

const rangeOf = (network: string): [ipaddr.IPv4 | ipaddr.IPv6, number] | undefined => {
  try {
    return ipaddr.parseCIDR(network)
  } catch {
    return undefined
  }
}

/** No degrees where there are none, undefined where there are some that are wrong. */
const degreesOf = (latitude: string, longitude: string): Omit<Spot, 'country'> | undefined => {
  if (latitude === '' && longitude === '') return {}
  const [north, east] = [Number(latitude), Number(longitude)]
  const right = latitude !== '' && longitude !== '' && Math.abs(north) <= 90 && Math.abs(east) <= 180
  return right ? { latitude: north, longitude: east } : undefined
}

const keyOf = (address: ipaddr.IPv4 | ipaddr.IPv6): bigint => {
  const bytes = address.toByteArray()
  let key = 0n
  for (let at = 0; at < 8; at += 4) key = (key << 32n) | BigInt(wordAt(bytes, at))
  return key
}

const wordAt = (bytes: number[], at: number): number =>
  ((bytes[at] ?? 0) * 2 ** 24 + ((bytes[at + 1] ?? 0) << 16) + ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0)) >>> 0

const all = 2n ** 64n - 1n

const maskOf = (bits: number, kind: 'ipv4' | 'ipv6'): bigint =>
  (all << BigInt(64 - Math.min(bits, kind === 'ipv4' ? 32 : 64))) & all

const add = (table: Table, row: Row): void => {
  if (table.size === table.starts.length) grow(table)
  const at = table.size
  table.starts[at] = row.start
  table.bits[at] = row.bits
  table.countries[at] = row.country.charCodeAt(0) * 256 + row.country.charCodeAt(1)
  table.latitudes[at] = row.latitude === undefined ? nowhere : Math.round(row.latitude * 100)
  table.longitudes[at] = row.longitude === undefined ? nowhere : Math.round(row.longitude * 100)
  table.size += 1
}

const grow = (table: Table): void => {
  const larger = tableOf(table.starts.length * 2)
  larger.starts.set(table.starts)
  larger.bits.set(table.bits)
  larger.countries.set(table.countries)
  larger.latitudes.set(table.latitudes)
  larger.longitudes.set(table.longitudes)
  Object.assign(table, larger, { size: table.size })
}

/** The same ranges by where they begin, in columns that are not longer than they must be. Throws where two overlap. */
const sorted = (table: Table): Table => {
  const { starts, size } = table
  const order = Uint32Array.from({ length: size }, (_, at) => at).sort((one, other) =>
    at64(starts, one) < at64(starts, other) ? -1 : 1,
  )
  const exact: Table = { ...tableOf(size), size }
  order.forEach((from, to) => {
    exact.starts[to] = at64(starts, from)
    exact.bits[to] = table.bits[from] ?? 0
    exact.countries[to] = table.countries[from] ?? 0
    exact.latitudes[to] = table.latitudes[from] ?? nowhere
    exact.longitudes[to] = table.longitudes[from] ?? nowhere
  })
  for (let at = 1; at < size; at += 1)
    if (holds(exact, at - 1, at64(exact.starts, at))) throw new Error('two of its ranges overlap')
  return exact
}

const at64 = (values: BigUint64Array, at: number): bigint => values[at] ?? 0n

const holds = ({ starts, bits }: Table, at: number, key: bigint): boolean =>
  at64(starts, at) >> BigInt(64 - (bits[at] ?? 0)) === key >> BigInt(64 - (bits[at] ?? 0))

const findIn = (table: Table, key: bigint): Spot | undefined => {
  let [low, high] = [0, table.size]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at64(table.starts, middle) <= key) low = middle + 1
    else high = middle
  }
  const at = low - 1
  return at >= 0 && holds(table, at, key) ? spotAt(table, at) : undefined
}

const spotAt = ({ countries, latitudes, longitudes }: Table, at: number): Spot => {
  const letters = countries[at] ?? 0
  const country = String.fromCharCode(letters >> 8, letters & 255)
  const latitude = latitudes[at] ?? nowhere
  return latitude === nowhere
    ? { country }
    : { country, latitude: latitude / 100, longitude: (longitudes[at] ?? 0) / 100 }
}
