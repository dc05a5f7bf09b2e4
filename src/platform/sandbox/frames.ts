import { limits } from './runner/limits.ts'

const headerBytes = 4

/** A message as a child reads it: its length in four bytes, and itself as JSON. */
export const frameOf = (message: unknown): Buffer => {
  const body = Buffer.from(JSON.stringify(message))
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

/** Puts what comes from a child together to messages. Throws where it sends too much, or what is no JSON. */
export const openFrames = (take: (message: unknown) => void): ((chunk: Buffer) => void) => {
  let received = 0
  let chunks: Buffer[] = []
  let size = 0
  return (chunk) => {
    received += chunk.length
    if (received > limits.sent) throw new Error('A child sent too much')
    chunks.push(chunk)
    size += chunk.length
    while (size >= headerBytes) {
      const bytes = Buffer.concat(chunks)
      const end = headerBytes + bytes.readUInt32BE()
      chunks = [bytes]
      if (size < end) return
      chunks = [bytes.subarray(end)]
      size -= end
      take(JSON.parse(bytes.toString('utf8', headerBytes, end)))
    }
  }
}
