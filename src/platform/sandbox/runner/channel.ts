import { readSync, writeSync } from 'node:fs'
import type { Message } from './protocol.ts'

// Not the standard output: whatever the interpreter prints there goes nowhere.
const pipe = 3
const headerBytes = 4

/** Sends a message: its length in four bytes, and itself as JSON. */
export const send = (message: Message): void => {
  const body = Buffer.from(JSON.stringify(message))
  const frame = Buffer.alloc(headerBytes + body.length)
  frame.writeUInt32BE(body.length)
  body.copy(frame, headerBytes)
  for (let sent = 0; sent < frame.length; ) sent += writeSync(pipe, frame, sent)
}

/** Waits for what comes next. Ends the process where the parent is gone. */
export const receive = (): unknown => JSON.parse(read(read(headerBytes).readUInt32BE()).toString('utf8'))

const read = (size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  for (let filled = 0; filled < size; ) {
    const got = readSync(pipe, bytes, filled, size - filled, null)
    if (got === 0) process.exit()
    filled += got
  }
  return bytes
}
