// The stock list: one row for each item, all there from the beginning, so that nothing moves when the values arrive.

import { byId, flash, make, write } from './dom.js';

const items = Array.from({ length: 30 }, (_, i) => `item${i + 1}`);
const fields = [
  'stock_name', 'last_price', 'time', 'pct_change', 'bid_quantity', 'bid', 'ask',
  'ask_quantity', 'min', 'max', 'ref_price', 'open_price', 'item_status',
];

// Changes of these are shown by a flash in the colour of the direction, or in a neutral one.
const directed = { last_price: 'last', bid: 'bid', ask: 'ask' };
const undirected = { bid_quantity: 'bidSize', ask_quantity: 'askSize' };

const rows = new Map();

/** Makes the empty rows, and the choice of stocks in the order form. */
export function layOutStocks() {
  const body = byId('stock-rows');
  const choice = byId('order-stock');
  for (const item of items) {
    const row = makeRow(item);
    rows.set(item, row);
    body.append(row.element);
    row.option = choice.appendChild(new Option(item, item));
  }
  choice.value = 'item3';
}

export function showStocks(subscribe) {
  subscribe('MERGE', items, fields, { onItemUpdate: (update) => show(rows.get(update.getItemName()), update) }, (subscription) => {
    subscription.setDataAdapter('QUOTE_ADAPTER');
    subscription.setRequestedSnapshot('yes');
  });
}

function makeRow(item) {
  const element = make('tr');
  element.id = item;
  const name = make('th', 'text', item);
  name.scope = 'row';
  const row = { element, name };
  const cell = (key, className) => {
    row[key] = element.appendChild(make('td', className, '–'));
  };
  element.append(name);
  cell('last', 'last');
  cell('change', 'change');
  cell('bidSize', 'qty wide');
  cell('bid', 'wide');
  cell('ask', 'wide');
  cell('askSize', 'qty wide');
  cell('range', 'range wide');
  cell('time', 'time wide');

  row.last.textContent = '';
  row.arrow = row.last.appendChild(make('span', 'arrow'));
  row.arrow.setAttribute('aria-hidden', 'true');
  row.price = row.last.appendChild(make('span', 'price', '–'));
  row.range.textContent = '';
  row.track = row.range.appendChild(make('span', 'track'));
  row.track.append(make('i'));
  return row;
}

function show(row, update) {
  const value = (field) => update.getValue(field) ?? '';
  const first = update.isSnapshot();
  update.forEachChangedField((field, _, text) => {
    const cell = row[directed[field] ?? undirected[field]];
    if (!cell) return;
    const target = field === 'last_price' ? row.price : cell;
    const before = Number(target.textContent);
    write(target, field in undirected ? Number(text).toLocaleString('en') : text ?? '–');
    if (first) return;
    const after = Number(text);
    flash(cell, field in undirected ? '' : after > before ? 'up' : 'down');
    if (field === 'last_price') {
      write(row.arrow, after > before ? '▲' : '▼');
      row.arrow.className = `arrow ${after > before ? 'up' : 'down'}`;
    }
  });
  write(row.name, value('stock_name'));
  row.name.title = row.name.textContent;
  write(row.option, value('stock_name'));
  const change = Number(value('pct_change'));
  write(row.change, `${change > 0 ? '+' : ''}${value('pct_change').replace('-', '−')} %`);
  row.change.className = `change ${change > 0 ? 'up' : change < 0 ? 'down' : ''}`;
  const halted = value('item_status') === 'inactive';
  row.element.classList.toggle('halted', halted);
  write(row.time, halted ? 'halted' : value('time'));
  showRange(row, Number(value('min')), Number(value('max')), Number(value('last_price')));
}

function showRange(row, min, max, last) {
  const at = max > min ? (last - min) / (max - min) : 0.5;
  row.track.style.setProperty('--at', `${(at * 100).toFixed(1)}%`);
  row.range.title = `Low ${min.toFixed(2)}, high ${max.toFixed(2)}`;
}
