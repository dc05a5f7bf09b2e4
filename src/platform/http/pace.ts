import type { IncomingMessage, RequestListener } from 'node:http'

/** How long a request may take to arrive, in milliseconds. */
export interface Pace {
  headers: number
  /** The body, in all. */
  body: number
  /** Of an upload, between two chunks of it. */
  pause: number
  /** Of an upload, in all. */
  upload: number
}

export const usualPace: Pace = { headers: 10_000, body: 30_000, pause: 30_000, upload: 3_600_000 }

/**
 * Ends the connections of requests whose bodies do not arrive in time (a slow body attack); a listener that may wait
 * longer for one says so by `awaitUpload`. For headers the server waits itself.
 */
export const keepPace =
  (listener: RequestListener, pace: Pace): RequestListener =>
  (request, response) => {
    if (hasBody(request)) watch(request, pace)
    listener(request, response)
  }

/** Lets the body of a request take as long as an upload may, as long as it goes on arriving. */
export const awaitUpload = (request: IncomingMessage): void => uploads.get(request)?.()

const uploads = new WeakMap<IncomingMessage, () => void>()

// RFC 9112 section 6.3.
const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

const watch = (request: IncomingMessage, { body, pause, upload }: Pace): void => {
  const { socket } = request
  const end = () => {
    stop()
    if (!request.complete) socket.destroy()
  }
  let late = setTimeout(end, body).unref()
  let pausing: NodeJS.Timeout | undefined
  const stop = () => {
    clearTimeout(late)
    clearInterval(pausing)
  }
  let seen = socket.bytesRead
  const lookForMore = () => {
    // What waits to be read holds back what comes after it: that is not the sender's pause.
    if (socket.bytesRead === seen && request.readableLength === 0) end()
    seen = socket.bytesRead
  }
  uploads.set(request, () => {
    stop()
    late = setTimeout(end, upload).unref()
    pausing = setInterval(lookForMore, pause).unref()
  })
  request.once('end', stop).once('close', stop)
}
