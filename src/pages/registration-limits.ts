import type { EnginePages } from '../oidc/wiring.ts'
import { networkOf } from '../platform/network.ts'
import type { Services } from '../services.ts'
import { addressKey, type Counter, take } from '../signin/limits.ts'

/** How often somebody may register clients, change them, or have documents of clients fetched. */
export const registrationLimits = ({ db, clock }: Services): Pick<EnginePages, 'mayRegister' | 'mayFetch'> => ({
  async mayRegister({ ip }, { id: scope, settings: { registration } }, what) {
    const who = addressKey(ip)
    const here: Counter = {
      kind: 'registrations of address',
      scope,
      who,
      points: registration.per_hour_and_network,
    }
    const all: Counter = { kind: 'registrations', scope, who: 'all', points: registration.per_hour }
    // One after the other: what is refused to one address is not taken from all.
    if (!(await take(db, clock.now(), [here]))) return false
    return what === 'change' || take(db, clock.now(), [all])
  },

  async mayFetch({ ip }, { id: scope }) {
    const network = networkOf(ip)
    const here: Counter[] = [
      { kind: 'client documents of address', scope, who: addressKey(ip) },
      ...(network === undefined ? [] : [{ kind: 'client documents of network', scope, who: network } as const]),
    ]
    if (!(await take(db, clock.now(), here))) return false
    return take(db, clock.now(), [{ kind: 'client documents', scope, who: 'all' }])
  },
})
