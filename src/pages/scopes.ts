import type { Words } from '../platform/words.ts'

const known = new Set(['openid', 'profile', 'email', 'phone', 'address', 'offline_access', 'groups', 'roles', 'tenant'])

/** What a scope is called; one that only an application knows goes by its own name. */
export const scopeLabel = ({ t }: Words, scope: string): string =>
  known.has(scope) ? t(`scope.${scope}.label`) : scope

/** What a scope lets an application know or do; nothing where only the application knows. */
export const scopeDetail = ({ t }: Words, scope: string): string => (known.has(scope) ? t(`scope.${scope}.detail`) : '')
