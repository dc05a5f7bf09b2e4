import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer } from 'node:net'

/** What a name stands for: texts, another name, nothing at all, or a server that never answers. */
type Zone = Record<string, string[] | { alias: string } | 'hangs' | 'fails'>

/** A name server on loopback, by UDP and TCP; names that it does not know do not exist. */
export interface DnsDouble {
  /** `address:port` */
  server: string
  /** May be changed at any time. */
  zone: Zone
  /** What it was asked. */
  asked: string[]
  stop(): Promise<void>
}

/** Starts one that knows nothing yet. */
export const dnsDouble = async (): Promise<DnsDouble> => {
  const double = { zone: {} as Zone, asked: [] as string[] }
  const answer = (question: Buffer, most: number) => {
    const name = nameIn(question)
    double.asked.push(name)
    return answerTo(double.zone, question, name, most)
  }
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (data) => {
      const said = answer(data.subarray(2), 65_000)
      if (said) socket.end(Buffer.concat([short(said.length), said]))
    })
  })
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (question, from) => {
    const said = answer(question, 1200)
    if (said) udp.send(said, from.port, from.address)
  })
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve))
  const stop = async () => {
    await new Promise<void>((resolve) => udp.close(resolve))
    await new Promise((resolve) => tcp.close(resolve))
  }
  return Object.assign(double, { server: `127.0.0.1:${port}`, stop })
}

const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 }

const answerTo = (zone: Zone, question: Buffer, name: string, most: number): Buffer | undefined => {
  const found = zone[name.toLowerCase()]
  if (found === 'hangs') return undefined
  if (found === 'fails') return message(question, codes.SERVFAIL, [])
  if (found === undefined) return message(question, codes.NXDOMAIN, [])
  if (Array.isArray(found)) return fitting(question, texts(labels(name), found), most)
  const behind = zone[found.alias]
  const alias = record(labels(name), 5, labels(found.alias))
  const records = Array.isArray(behind) ? texts(labels(found.alias), behind) : []
  return fitting(question, [alias, ...records], most)
}

const fitting = (question: Buffer, records: Buffer[], most: number): Buffer => {
  const whole = message(question, codes.NOERROR, records)
  return whole.length > most ? message(question, codes.NOERROR, [], true) : whole
}

// RFC 1035 section 4.1: the header and the question as it came, then the answers.
const message = (question: Buffer, code: number, answers: Buffer[], truncated = false): Buffer => {
  const header = Buffer.from(question.subarray(0, 12))
  header.writeUInt16BE(0x8580 | (truncated ? 0x0200 : 0) | code, 2)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(0, 8)
  header.writeUInt16BE(0, 10)
  return Buffer.concat([header, question.subarray(12, endOfName(question) + 4), ...answers])
}

const texts = (owner: Buffer, values: string[]): Buffer[] =>
  values.map((value) => record(owner, 16, Buffer.concat(stringsOf(Buffer.from(value)))))

const stringsOf = (value: Buffer): Buffer[] =>
  Array.from({ length: Math.max(1, Math.ceil(value.length / 255)) }, (_, index) => {
    const part = value.subarray(index * 255, index * 255 + 255)
    return Buffer.concat([Buffer.from([part.length]), part])
  })

const record = (owner: Buffer, type: number, data: Buffer): Buffer =>
  Buffer.concat([owner, short(type), short(1), Buffer.from([0, 0, 0, 60]), short(data.length), data])

const labels = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ])

const short = (value: number): Buffer => Buffer.from([value >> 8, value & 255])

const endOfName = (question: Buffer): number => {
  let at = 12
  while (question[at]) at += (question[at] ?? 0) + 1
  return at + 1
}

const nameIn = (question: Buffer): string => {
  const found: string[] = []
  for (let at = 12; question[at]; at += (question[at] ?? 0) + 1)
    found.push(question.toString('latin1', at + 1, at + 1 + (question[at] ?? 0)))
  return found.join('.')
}
