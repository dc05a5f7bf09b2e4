import { Problem } from '../platform/problem.ts'

/** What can be found by a request's method and path; parameters stand in braces, as in OpenAPI. */
export interface Place {
  method: string
  path: string
}

/** Finds the place of a request. Throws `not_found`, or `method_not_allowed` where only the method is wrong. */
export const openRouter = <Found extends Place>(places: readonly Found[]) => {
  // What is said literally goes before what a parameter may be.
  const compiled = places
    .map((place) => ({ place, parts: place.path.split('/') }))
    .sort((a, b) => parametersIn(a.place) - parametersIn(b.place))
  return (method: string, path: string): { place: Found; params: Record<string, string> } => {
    const parts = path.split('/').map(decode)
    const fitting = compiled.flatMap(({ place, parts: wanted }) => {
      const params = matchParts(wanted, parts)
      return params ? [{ place, params }] : []
    })
    const found = fitting.find(({ place }) => place.method === method)
    if (found) return found
    throw new Problem(fitting.length > 0 ? 'method_not_allowed' : 'not_found')
  }
}

/** A path with its parameters filled in, each encoded as one segment. */
export const fillPath = (path: string, params: Record<string, string>): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))

const parametersIn = ({ path }: Place): number => path.split('{').length

const matchParts = (wanted: string[], parts: string[]): Record<string, string> | undefined => {
  if (wanted.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, want] of wanted.entries()) {
    const part = parts[index] ?? ''
    const name = want.match(/^\{(\w+)\}$/)?.[1]
    if (name ? part === '' : want !== part) return undefined
    if (name) params[name] = part
  }
  return params
}

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Problem('invalid_request')
  }
}
