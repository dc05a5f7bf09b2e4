import { finished, Readable } from 'node:stream'
import { Busboy, type BusboyFileStream } from '@fastify/busboy'
import { Problem } from '../../platform/problem.ts'

/** A file of a form as it arrives. */
export interface SentFile {
  filename: string
  type: string
  stream: Readable
}

/**
 * Reads a form with a file (RFC 7578): the fields before the file go into `fields`, and `take` gets the file while it still
 * arrives, no more of it in memory than a chunk; reading it fails where it breaks off. Throws `unsupported_type` on another
 * body, `invalid_request` on one that breaks off or has a field twice, `unprocessable` where there is no file.
 */
export const takeFile = <Result>(
  { type, stream }: { type: string; stream: Readable },
  fields: Record<string, string>,
  take: (file: SentFile) => Promise<Result>,
): Promise<Result> => {
  const parser = openParser(type)
  let arriving: BusboyFileStream | undefined
  return new Promise<Result>((resolve, reject) => {
    let broken: Problem | undefined
    // Whoever is taking the file hears of it, and puts things right before anybody is told.
    const fail = (cause: unknown) => {
      broken ??= cause instanceof Problem ? cause : new Problem('invalid_request', { cause })
      if (arriving) arriving.destroy(broken)
      else reject(broken)
    }
    parser.on('field', (name, value, _nameCut, valueCut) => {
      if (arriving) return
      if (name in fields || name in Object.prototype || value.includes('\0')) fail(new Problem('invalid_request'))
      else if (valueCut) fail(new Problem('too_large'))
      else fields[name] = value
    })
    parser.on('file', (_name, file, filename, _encoding, mime) => {
      file.on('error', fail)
      if (broken || !filename) return fail(noFile())
      arriving = file
      const taken = take({ filename, type: mime, stream: Readable.from(chunksOf(file)) })
      taken.then(resolve, (error) => reject(broken ?? error))
    })
    parser.on('finish', () => {
      if (!arriving) fail(noFile())
    })
    parser.on('error', fail)
    finished(stream, { writable: false }, (error) => {
      if (error) fail(error)
    })
    stream.pipe(parser)
  }).finally(() => {
    stream.unpipe(parser)
    stream.resume()
  })
}

// A few short fields and one file; how much a file may hold is for whoever takes it.
const limits = {
  files: 1,
  fields: 12,
  fieldSize: 20_000,
  parts: 14,
  fieldNameSize: 60,
  headerPairs: 20,
  headerSize: 4096,
}

const openParser = (type: string) => {
  if (!/^multipart\/form-data\s*;/i.test(type)) throw new Problem('unsupported_type')
  try {
    return new Busboy({ headers: { 'content-type': type }, limits })
  } catch (cause) {
    throw new Problem('invalid_request', { cause })
  }
}

const noFile = () => new Problem('unprocessable', { errors: [{ pointer: '/file', detail: 'Choose a file' }] })

// Begun only when it is read, so that a file which broke off before that says so then.
const chunksOf = async function* (file: Readable): AsyncIterable<Buffer> {
  for await (const chunk of file) yield chunk as Buffer
}
