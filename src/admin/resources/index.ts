import type { Route } from '../route.ts'
import { poolRoutes } from './pools.ts'

/** Every route of the admin API. A new resource is a file in this folder and a line here. */
export const resources: readonly Route[] = [...poolRoutes]
