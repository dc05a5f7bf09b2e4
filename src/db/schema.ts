import type { ColumnType, Generated } from 'kysely'

type Json<T> = ColumnType<T, string, string>
type At = ColumnType<Date, Date | undefined, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>
type RegisteredBy = 'operator' | 'registration' | 'document'

/** Every table, as the program sees it (camelCase); the constraints are in migrations/. */
export interface Database {
  workspaces: {
    id: string
    slug: string
    name: string
    status: ColumnType<'active' | 'inactive', 'active' | 'inactive' | undefined>
    settings: Json<Record<string, unknown>>
    pairwiseSalt: Generated<string>
    createdAt: At
    updatedAt: At
  }
  wordings: {
    workspaceId: string
    name: string
    words: Json<Record<string, unknown>>
    createdAt: At
    updatedAt: At
  }
  pools: {
    id: string
    slug: string
    name: string
    description: Generated<string>
    color: Generated<string>
    kind: 'local' | 'external' | 'federated'
    status: ColumnType<'active' | 'inactive', 'active' | 'inactive' | undefined>
    settings: Json<Record<string, unknown>>
    source: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>
    upstream: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>
    createdAt: At
    updatedAt: At
  }
  clients: {
    workspaceId: string
    id: string
    status: ColumnType<'active' | 'inactive', 'active' | 'inactive' | undefined>
    metadata: Json<Record<string, unknown>>
    secretHash: string | null
    previousSecretHash: ColumnType<string | null, string | null | undefined>
    sealedSecret: ColumnType<string | null, string | null | undefined>
    previousSealedSecret: ColumnType<string | null, string | null | undefined>
    registeredBy: ColumnType<RegisteredBy, RegisteredBy | undefined>
    createdAt: At
    updatedAt: At
  }
  registrationTokens: {
    workspaceId: string
    id: string
    name: string
    tokenHash: string
    usesLeft: number | null
    createdBy: Json<Record<string, unknown>>
    createdAt: At
    expiresAt: Date
  }
  registrations: {
    workspaceId: string
    clientId: string
    tokenHash: string | null
    usedAt: Date
  }
  retiredClients: {
    workspaceId: string
    id: string
  }
  connections: {
    workspaceId: string
    id: string
    poolId: string
    name: string
    position: Generated<number>
    enabled: Generated<boolean>
    hidden: Generated<boolean>
    domains: Generated<string[]>
    amr: ColumnType<string[] | null, string[] | null | undefined>
    mapping: Json<Record<string, string>>
    postAuthenticationScript: ColumnType<string | null, string | null | undefined>
    postAuthenticationApplication: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>
    reloadClaimsAtRefresh: Generated<boolean>
    contextCacheSeconds: ColumnType<number | null, number | null | undefined>
    createdAt: At
    updatedAt: At
  }
  scripts: {
    workspaceId: string
    id: string
    name: string
    point: 'post_authentication' | 'mapping'
    enabled: Generated<boolean>
    onFailure: ColumnType<'deny' | 'continue', 'deny' | 'continue' | undefined>
    version: number
    recordNext: Generated<boolean>
    createdAt: At
    updatedAt: At
  }
  scriptVersions: {
    workspaceId: string
    scriptId: string
    number: number
    code: string
    writtenBy: Json<Record<string, unknown>>
    createdAt: At
  }
  scriptSamples: {
    workspaceId: string
    scriptId: string
    id: string
    name: string
    input: Json<Record<string, unknown>>
    recorded: Generated<boolean>
    createdAt: At
  }
  scriptRuns: {
    workspaceId: string
    scriptId: string
    id: string
    at: ColumnType<Date, Date>
    version: number
    ok: boolean
    why: string | null
    detail: string | null
    ms: number
    logs: string
    trace: string | null
    userId: string | null
    clientId: string | null
    expiresAt: Date
  }
  domains: {
    workspaceId: string
    id: string
    host: string
    origin: string
    state: 'pending' | 'active'
    isPrimary: ColumnType<boolean, boolean | undefined>
    challenge: string
    proof: ColumnType<'dns' | 'operator' | null, undefined, 'dns' | 'operator'>
    provenAt: ColumnType<Date | null, undefined, Date>
    createdAt: At
    updatedAt: At
  }
  resources: {
    workspaceId: string
    id: string
    identifier: string
    settings: Json<Record<string, unknown>>
    createdAt: At
    updatedAt: At
  }
  signingKeys: {
    workspaceId: string
    id: string
    alg: 'RS256' | 'ES256' | 'EdDSA' | 'PS256'
    publicJwk: Json<Record<string, unknown>>
    privateSealed: string
    signsFrom: ColumnType<Date, Date>
    signsUntil: MaybeAt
    publishedUntil: MaybeAt
    createdAt: At
  }
  users: {
    poolId: string
    id: string
    status: 'new' | 'active' | 'inactive' | 'deleted'
    authority: ColumnType<'local' | 'linked' | 'migrated', 'local' | 'linked' | 'migrated' | undefined>
    profile: Json<Record<string, unknown>>
    metadata: Json<Record<string, unknown>>
    createdAt: At
    updatedAt: At
    lastSignInAt: MaybeAt
    era: Generated<number>
    deletesAt: MaybeAt
    externalId: ColumnType<string | null, string | null | undefined>
    source: ColumnType<string | null, string | null | undefined>
    migratedAt: MaybeAt
    secondFactorDue: Generated<boolean>
  }
  /** A ledger of how many users external pools have, which readers add up. */
  poolPeople: {
    poolId: string
    authority: 'local' | 'linked' | 'migrated'
    people: number
  }
  migrationHours: {
    poolId: string
    hour: ColumnType<Date, Date>
    kind: string
    name: string
    times: number
  }
  migrationCounted: {
    poolId: string
    until: Date
  }
  /** What clients ask people (CIBA). */
  backchannelRequests: {
    workspaceId: string
    id: string
    requestSealed: string
    poolId: string
    userId: string
    clientId: string
    answeredAt: Date | null
    createdAt: Date
    expiresAt: Date
  }
  migrationRounds: {
    poolId: string
    id: string
    kind: 'count' | 'mail'
    state: 'running' | 'done' | 'failed' | 'stopped'
    workspaceId: string | null
    perMinute: number
    days: number
    startedBy: Json<Record<string, unknown>>
    waitingSealed: string | null
    cursor: ColumnType<string | null, string | null | undefined>
    atEnd: Generated<boolean>
    seen: Generated<number>
    missing: Generated<number>
    sent: Generated<number>
    skipped: Generated<number>
    faults: Generated<number>
    why: ColumnType<string | null, string | null | undefined>
    step: Generated<number>
    createdAt: At
    finishedAt: MaybeAt
    expiresAt: Date
  }
  tombstones: {
    poolId: string
    kind: string
    valueHash: string
    userId: string
    createdAt: At
  }
  identifiers: {
    poolId: string
    kind: 'email' | 'mobile' | 'username'
    value: string
    userId: string
    typed: string
    verifiedAt: MaybeAt
    createdAt: At
  }
  credentials: {
    poolId: string
    id: string
    userId: string
    kind: string
    data: Json<Record<string, unknown>>
    createdAt: At
    usedAt: MaybeAt
  }
  consents: {
    workspaceId: string
    clientId: string
    userId: string
    poolId: string
    scopes: string[]
    claims: Generated<string[]>
    resources: ColumnType<Record<string, string[]>, string | undefined, string>
    shown: string | null
    updatedAt: At
  }
  webhooks: {
    workspaceId: string
    id: string
    name: string
    url: string
    types: string[]
    enabled: Generated<boolean>
    disabledWhy: ColumnType<'failing' | 'gone' | null, 'failing' | 'gone' | null | undefined>
    sealedSecret: string
    previousSealedSecret: ColumnType<string | null, string | null | undefined>
    failingSince: MaybeAt
    createdAt: ColumnType<Date, Date | undefined>
    updatedAt: ColumnType<Date, Date | undefined>
  }
  webhookDeliveries: {
    workspaceId: string
    webhookId: string
    eventId: string
    state: ColumnType<'pending' | 'delivered' | 'dead', 'pending' | undefined, 'pending' | 'delivered' | 'dead'>
    attempts: Generated<number>
    dueAt: ColumnType<Date, Date>
    triedAt: MaybeAt
    status: ColumnType<number | null, number | null | undefined>
    why: ColumnType<string | null, string | null | undefined>
    expiresAt: ColumnType<Date, Date>
  }
  eventCounts: {
    day: string
    type: string
    workspaceId: string | null
    poolId: string | null
    times: number
  }
  eventDays: {
    day: string
    countedAt: ColumnType<Date, Date>
  }
  lateEvents: {
    day: string
  }
  events: {
    id: string
    type: string
    workspaceId: string | null
    poolId: string | null
    userId: string | null
    clientId: string | null
    data: Json<Record<string, unknown>>
    trace: ColumnType<string | null, string | null | undefined>
    at: ColumnType<Date, Date>
  }
  traces: {
    trace: string
    at: ColumnType<Date, Date>
    workspaceId: string | null
    clientId: string | null
    interaction: string | null
    route: string
    status: number
    code: string
    reason: string | null
    checks: ColumnType<{ name: string; ok: boolean; detail: string | null }[], string>
    expiresAt: Date
  }
  trails: {
    workspaceId: string
    id: string
    poolId: string | null
    trail: Json<Record<string, unknown>[]>
    endedAt: Date
    expiresAt: Date
  }
  artifacts: {
    workspaceId: string
    id: string
    kind: string
    payload: Json<Record<string, unknown>>
    grantId: string | null
    uid: string | null
    sessionUid: string | null
    poolId: string | null
    userId: string | null
    clientId: string | null
    consumedAt: Date | null
    successor: string | null
    expiresAt: Date
    era: Generated<number>
    /** The MAC of the code that a person types for a device. */
    userCode: string | null
    /** When its client last asked for it, and how many seconds it has to wait in between. */
    polledAt: Date | null
    pollSeconds: Generated<number>
  }
  attempts: {
    workspaceId: string
    id: string
    version: number
    poolId: string | null
    identifierKind: string | null
    identifierValue: string | null
    data: Json<Record<string, unknown>>
    expiresAt: Date
  }
  challenges: {
    poolId: string
    id: string
    purpose: string
    boundTo: string
    codeHash: string
    tokenHash: string | null
    userId: string | null
    data: Json<Record<string, unknown>>
    tries: Generated<number>
    maxTries: number
    consumedAt: MaybeAt
    expiresAt: Date
  }
  departures: {
    workspaceId: string
    connectionId: string
    stateHash: string
    boundTo: string
    back: string
    keptSealed: string
    answerSealed: ColumnType<string | null, string | null | undefined>
    answerHash: ColumnType<string | null, string | null | undefined>
    consumedAt: MaybeAt
    expiresAt: Date
  }
  links: {
    poolId: string
    subject: string
    homePoolId: string
    userId: string
    label: Generated<string>
    linkedAt: At
  }
  seenOnce: {
    key: string
    expiresAt: Date
  }
  upstreamSessions: {
    workspaceId: string
    id: string
    connectionId: string
    sessionSealed: string
    expiresAt: Date
  }
  limits: {
    key: string
    points: number
    resetsAt: Date
  }
  places: {
    poolId: string
    userId: string
    network: string
    country: string | null
    latitude: number | null
    longitude: number | null
    at: Date
    expiresAt: Date
  }
  operators: {
    poolId: string
    userId: string
    role: 'owner' | 'admin' | 'helpdesk' | 'viewer'
    workspaces: string[] | null
    pools: string[] | null
    createdAt: At
    updatedAt: At
  }
  consoleSessions: {
    id: string
    poolId: string
    userId: string
    era: number
    idTokenSealed: string | null
    provedAt: Date
    seenAt: Date
    createdAt: Date
    expiresAt: Date
  }
  idempotency: {
    actor: string
    key: string
    requestHash: string
    status: number | null
    answerSealed: string | null
    expiresAt: Date
  }
  groups: {
    poolId: string
    id: string
    parentId: string | null
    name: string
    description: Generated<string>
    createdAt: At
    updatedAt: At
  }
  groupMembers: {
    poolId: string
    groupId: string
    userId: string
    createdAt: At
  }
  tenants: {
    id: string
    poolId: string | null
    slug: string
    name: string
    metadata: Json<Record<string, unknown>>
    createdAt: At
    updatedAt: At
  }
  tenantMembers: {
    poolId: string
    tenantId: string
    userId: string
    createdAt: At
  }
  roles: {
    id: string
    tenantId: string | null
    key: string
    name: string
    description: Generated<string>
    permissions: Generated<string[]>
    createdAt: At
    updatedAt: At
  }
  userRoles: {
    poolId: string
    userId: string
    roleId: string
    tenantId: string | null
    createdAt: At
  }
  invitations: {
    poolId: string
    id: string
    workspaceId: string
    identifierKind: 'email' | 'mobile' | 'username'
    identifierValue: string
    identifierTyped: string
    userId: string | null
    state: ColumnType<'pending' | 'accepted' | 'revoked', 'pending' | 'accepted' | 'revoked' | undefined>
    tokenHash: string
    data: Json<Record<string, unknown>>
    invitedBy: Json<Record<string, unknown>>
    createdAt: At
    updatedAt: At
    expiresAt: Date
    acceptedAt: MaybeAt
  }
  imports: {
    poolId: string
    id: string
    state: 'receiving' | 'running' | 'done'
    dryRun: boolean
    onDuplicate: 'skip' | 'update' | 'fail'
    withGroups: boolean
    withRoles: boolean
    withTenants: boolean
    ofPoolOnly: boolean
    startedBy: Json<Record<string, unknown>>
    rows: Generated<number>
    position: Generated<number>
    created: Generated<number>
    updated: Generated<number>
    skipped: Generated<number>
    failed: Generated<number>
    preset: 'auth0' | 'cognito' | 'keycloak' | null
    leftOut: ColumnType<{ field: string; rows: number }[], string | undefined, string>
    warned: Generated<number>
    errors: ColumnType<{ row: number; reasons: string[] }[], string | undefined, string>
    warnings: ColumnType<{ row: number; reasons: string[] }[], string | undefined, string>
    createdAt: At
    finishedAt: MaybeAt
    expiresAt: Date
  }
  importRows: {
    poolId: string
    importId: string
    number: number
    row: Json<Record<string, unknown>>
  }
  importSeen: {
    poolId: string
    importId: string
    kind: string
    value: string
  }
  inbox: {
    id: string
    recipient: string
    message: Json<Record<string, unknown>>
    sentAt: Date
  }
}
