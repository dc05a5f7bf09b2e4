import { isUniqueViolation } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'

/** What a query ends with that would make a second of what there is one of: `conflict`, saying so in `detail`. */
export const refuseSecond =
  (detail: string, constraint?: string) =>
  (error: unknown): never => {
    throw isUniqueViolation(error, constraint) ? new Problem('conflict', { detail }) : error
  }
