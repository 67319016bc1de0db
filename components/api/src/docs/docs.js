// Renders the OpenAPI document. Its content is inserted into the page as text, never as markup.
'use strict'

const METHODS = ['get', 'post', 'patch', 'put', 'delete']
let api = {}

/** Creates an element with attributes and content. */
function make(name, attributes = {}, ...content) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...content.filter((part) => part !== null && part !== ''))
  return element
}

/** Splits a text with code between backticks into strings and code elements. */
const prose = (text = '') => text.split('`').map((part, at) => (at % 2 ? make('code', {}, part) : part))

/** Resolves a reference. */
function resolve(value) {
  const path = value?.$ref
  if (!path) return value ?? {}
  return path.slice(2).split('/').reduce((found, part) => found?.[part], api) ?? {}
}

/** Returns the last part of a reference. */
const nameOf = (schema) => schema?.$ref?.split('/').pop()

/** Describes the type of a schema. */
function kind(schema) {
  if (schema === undefined) return 'any'
  const name = nameOf(schema)
  if (name) return name
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(kind).join(' | ')
  const types = [schema.type ?? 'any'].flat()
  return types
    .map((type) => {
      if (type === 'array') return `array of ${kind(schema.items)}`
      if (type === 'string' && schema.format) return schema.format
      return type
    })
    .join(' | ')
}

/** Describes the bounds of a schema. */
function bounds(schema) {
  const parts = []
  if (schema.minimum !== undefined && schema.maximum !== undefined) parts.push(`${schema.minimum} to ${schema.maximum}`)
  if (schema.maxLength !== undefined) parts.push(`at most ${schema.maxLength} characters`)
  if (schema.maxItems !== undefined) parts.push(`at most ${schema.maxItems} items`)
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`)
  return parts.length ? `, ${parts.join(', ')}` : ''
}

/** Lists the members of an object schema. */
function members(schema) {
  const object = resolve(schema)
  if (!object.properties) return make('p', {}, make('code', {}, kind(schema)), ` ${object.description ?? ''}`)
  const list = make('dl')
  for (const [name, property] of Object.entries(object.properties)) {
    const required = object.required?.includes(name) ? ', required' : ''
    const type = kind(property)
    list.append(
      make('dt', {}, make('code', {}, name), make('span', { class: 'dim' }, ` ${type}${bounds(property)}${required}`)),
    )
    const description = property.description ?? resolve(property).description
    if (description) list.append(make('dd', {}, ...prose(description)))
  }
  return list
}

/** Returns the schemas that a schema references, itself first. */
function referenced(schema, found = new Map()) {
  if (typeof schema !== 'object' || schema === null) return found
  const name = nameOf(schema)
  if (name && !found.has(name)) {
    found.set(name, resolve(schema))
    referenced(resolve(schema), found)
  }
  for (const [key, value] of Object.entries(schema)) if (key !== '$ref') referenced(value, found)
  return found
}

/** Renders a schema, followed by the schemas that it references. */
function schemaDetails(schema) {
  const parts = [members(schema)]
  for (const [name, other] of referenced(schema)) {
    if (name !== nameOf(schema) && other.properties) parts.push(make('h4', {}, name), members(other))
  }
  return parts
}

/** Quotes a value for a shell. */
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`

function curl(method, path, operation) {
  let target = path
  const query = []
  for (const parameter of operation.parameters ?? []) {
    const value = parameter.example
    if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(value ?? 'id'))
    else if (parameter.in === 'query' && value !== undefined && query.length < 2 && parameter.name !== 'cursor')
      query.push(`${parameter.name}=${encodeURIComponent(value)}`)
  }
  const address = location.origin + target + (query.length ? `?${query.join('&')}` : '')
  const parts = ['curl']
  if (method !== 'get') parts.push('-X', method.toUpperCase())
  if ((operation.security ?? []).length) parts.push('-H', '"Authorization: Bearer $TOKEN"')
  const body = operation.requestBody?.content?.['application/json']
  if (body) parts.push('-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(body.example ?? {})))
  return [...parts, quoted(address)].join(' ')
}

/** Returns the session token of the dashboard, if the user signed in there in the same tab. */
function signedIn() {
  try {
    return JSON.parse(sessionStorage.getItem('wheeltapper-session') ?? 'null')?.token ?? ''
  } catch {
    return ''
  }
}

/** Creates a form that sends a GET request. */
function requestForm(path, operation, id) {
  const form = make('form', {}, make('h3', {}, 'Try it'))
  const inputs = []
  for (const parameter of operation.parameters ?? []) {
    if (parameter.in === 'header') continue
    const name = `${id}-${parameter.name}`
    const choices = parameter.schema?.enum
    const input = choices
      ? make('select', { id: name }, ...['', ...choices].map((choice) => make('option', {}, choice)))
      : make('input', { id: name, placeholder: parameter.example ?? '' })
    if (parameter.in === 'path') input.required = true
    inputs.push([parameter, input])
    form.append(make('label', { for: name }, parameter.name), input)
  }
  const output = make('pre', { tabindex: '0', 'aria-label': 'Answer', hidden: '' })
  form.append(make('button', {}, 'Ask'), output)
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    let target = path
    const query = new URLSearchParams()
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value))
      else if (input.value) query.set(parameter.name, input.value)
    }
    const token = document.getElementById('token').value || signedIn()
    output.hidden = false
    output.textContent = 'Sending…'
    try {
      const address = target + (query.size ? `?${query}` : '')
      const response = await fetch(address, token ? { headers: { Authorization: `Bearer ${token}` } } : {})
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json')
      output.textContent = `${response.status} ${response.statusText}\n\n${isJson ? JSON.stringify(JSON.parse(text), null, 2) : text}`
    } catch (error) {
      output.textContent = `No response: ${error.message}`
    }
  })
  return form
}

/** Renders the description, parameters, body and responses of a route. */
function details(method, path, operation) {
  const parts = [make('p', {}, ...prose(operation.description))]
  if (operation.parameters?.length) {
    const list = make('dl')
    for (const parameter of operation.parameters) {
      const schema = parameter.schema ?? { type: 'JSON object' }
      const required = parameter.required ? ', required' : ''
      const description = ` ${kind(schema)}${bounds(schema)}, in ${parameter.in}${required}`
      list.append(make('dt', {}, make('code', {}, parameter.name), make('span', { class: 'dim' }, description)))
      list.append(make('dd', {}, ...prose(parameter.description)))
    }
    parts.push(make('h3', {}, 'Parameters'), list)
  }
  const content = operation.requestBody?.content
  if (content) {
    parts.push(make('h3', {}, 'Body'), make('p', { class: 'mono' }, Object.keys(content).join(', ')))
    parts.push(...schemaDetails(content['application/json']?.schema))
  }
  parts.push(make('h3', {}, 'Responses'))
  const responses = make('dl')
  for (const [status, reference] of Object.entries(operation.responses)) {
    const response = resolve(reference)
    const [media, first] = Object.entries(response.content ?? {})[0] ?? []
    const description = media ? ` ${media}${first.schema ? `: ${kind(first.schema)}` : ''}` : ''
    responses.append(make('dt', {}, make('code', {}, status), make('span', { class: 'dim' }, description)))
    responses.append(make('dd', {}, ...prose(response.description)))
    if (status < '3' && nameOf(first?.schema)) responses.append(make('dd', {}, ...schemaDetails(first.schema)))
  }
  parts.push(responses, make('h3', {}, 'With curl'), make('pre', { tabindex: '0' }, curl(method, path, operation)))
  const streams = operation.responses['200']?.content?.['text/event-stream']
  if (method === 'get' && !streams && !operation.responses['101'])
    parts.push(requestForm(path, operation, operation.operationId))
  return make('div', { class: 'inside' }, ...parts)
}

/** Renders a route. Its details are rendered when it is opened. */
function route(method, path, operation) {
  const head = make(
    'summary',
    {},
    make('span', { class: `method ${method}` }, method.toUpperCase()),
    make('code', {}, path),
    make('span', {}, operation.summary),
  )
  const element = make('details', { id: operation.operationId }, head)
  element.addEventListener('toggle', () => {
    if (element.open && element.childElementCount === 1) element.append(details(method, path, operation))
  })
  return element
}

function show() {
  document.title = `${api.info.title} API ${api.info.version}`
  document.getElementById('about').replaceChildren(...prose(api.info.description))
  const main = document.getElementById('main')
  const groups = make('ul')
  main.replaceChildren()
  for (const tag of api.tags) {
    const id = `group-${tag.name}`
    groups.append(make('li', {}, make('a', { href: `#${id}` }, tag.name)))
    const section = make('section', { 'aria-labelledby': id }, make('h2', { id }, tag.name), make('p', {}, ...prose(tag.description)))
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        if (item[method]?.tags?.includes(tag.name)) section.append(route(method, path, item[method]))
      }
    }
    main.append(section)
  }
  document.getElementById('groups').replaceChildren(groups)
  const target = document.getElementById(location.hash.slice(1))
  if (target instanceof HTMLDetailsElement) target.open = true
  target?.scrollIntoView()
}

if (signedIn()) document.getElementById('token').placeholder = 'yours, from the dashboard'
document.getElementById('access').addEventListener('submit', (event) => event.preventDefault())
fetch('/api/openapi.json')
  .then((response) => {
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
    return response.json()
  })
  .then((read) => {
    api = read
    show()
  })
  .catch((error) => {
    document.getElementById('state').textContent = `The document cannot be loaded (${error.message}); reload the page.`
  })
