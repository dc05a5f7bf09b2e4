import { z } from 'zod'
import { Problem } from '../platform/problem.ts'

/** What any merge patch is, before it is known what it patches. */
export const anyPatch = z.record(z.string(), z.unknown())

/**
 * Checks a part of a request by its schema. Throws `unprocessable`, or another problem, with a JSON pointer (RFC 6901)
 * to each value that does not fit.
 */
export const check = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  other?: () => Problem,
): z.output<Schema> => {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw other ? other() : new Problem('unprocessable', { errors: result.error.issues.flatMap(faultsOf) })
}

/** A merge patch of a record where it comes as the body of another method: every field may be there, and is as sent. */
export const patchOf = ({ shape }: z.ZodObject) =>
  z.strictObject(Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, asSent(field as z.ZodType)])))

const asSent = (field: z.ZodType) => {
  const { $schema: _, default: _default, ...described } = z.toJSONSchema(field, { io: 'input', unrepresentable: 'any' })
  return z.unknown().meta(described).optional()
}

/** What a record becomes by a merge patch (RFC 7396), checked whole by its schema. Throws `unprocessable`. */
export const patchedBy = <Schema extends z.ZodType>(
  schema: Schema,
  current: object,
  patch: Record<string, unknown>,
): z.output<Schema> => check(schema, merge(current, patch))

const merge = (target: unknown, patch: unknown): unknown => {
  if (!isObject(patch)) return patch
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name]
    else merged[name] = merge(merged[name], value)
  }
  return merged
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What one issue of a schema is about, by JSON pointer. */
export const faultsOf = (issue: z.core.$ZodIssue): { pointer: string; detail: string }[] => {
  const pointer = issue.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  if (issue.code !== 'unrecognized_keys') return [{ pointer, detail: issue.message }]
  return issue.keys.map((key) => ({ pointer: `${pointer}/${key}`, detail: 'This field is not known here' }))
}
