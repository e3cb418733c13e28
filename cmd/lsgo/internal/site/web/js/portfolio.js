// The portfolio. Its keys are names of quote items: the second level of the subscription adds name and price of each.

import { byId, flash, make, outcome, write } from './dom.js';

const rows = new Map();
const money = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat('en');

export function showPortfolio(subscribe, connection) {
  subscribe('COMMAND', ['portfolio1'], ['key', 'command', 'qty'], {
    onSubscription: clear,
    onClearSnapshot: clear,
    onItemUpdate: show,
    onSubscriptionError: (code, message) => outcome(byId('order-outcome'), `No portfolio: ${message} (code ${code})`, true),
    onCommandSecondLevelSubscriptionError: (code, message, key) => outcome(byId('order-outcome'), `No price of ${key}: ${message} (code ${code})`, true),
  }, (subscription) => {
    subscription.setDataAdapter('PORTFOLIO_ADAPTER');
    subscription.setRequestedSnapshot('yes');
    subscription.setCommandSecondLevelDataAdapter('QUOTE_ADAPTER');
    subscription.setCommandSecondLevelFields(['stock_name', 'last_price']);
  });
  clear();
  byId('order').addEventListener('submit', async (event) => {
    const verb = event.submitter?.value ?? 'BUY';
    const stock = byId('order-stock');
    const quantity = byId('order-quantity').value;
    try {
      await connection.send(`${verb}|portfolio1|${stock.value}|${quantity}`, 'ORDERS', () => outcome(byId('order-outcome'), 'Sending …'));
      const name = stock.selectedOptions[0].textContent;
      outcome(byId('order-outcome'), `${verb === 'BUY' ? 'Bought' : 'Sold'} ${whole.format(quantity)} ${name}.`);
    } catch (error) {
      outcome(byId('order-outcome'), error.message, true);
    }
  });
}

function show(update) {
  const key = update.getValue('key');
  if (update.getValue('command') === 'DELETE') {
    rows.get(key)?.element.remove();
    rows.delete(key);
  } else {
    if (!rows.has(key)) add(key);
    fill(rows.get(key), update);
  }
  showSum();
}

function add(key) {
  const element = make('tr');
  element.dataset.key = key;
  const name = element.appendChild(make('th', 'text', key));
  name.scope = 'row';
  const row = { element, name, price: 0, quantity: 0 };
  for (const cell of ['quantityCell', 'priceCell', 'valueCell']) row[cell] = element.appendChild(make('td', '', '–'));
  if (rows.size === 0) byId('positions').replaceChildren();
  rows.set(key, row);
  byId('positions').append(element);
}

function fill(row, update) {
  const quantity = Number(update.getValue('qty'));
  if (quantity !== row.quantity && !update.isSnapshot()) flash(row.quantityCell, quantity > row.quantity ? 'up' : 'down');
  row.quantity = quantity;
  write(row.quantityCell, whole.format(quantity));
  const price = update.getValue('last_price');
  if (price === null) return; // the second level has not answered yet
  if (Number(price) !== row.price && row.price) flash(row.priceCell, Number(price) > row.price ? 'up' : 'down');
  row.price = Number(price);
  write(row.name, update.getValue('stock_name'));
  row.name.title = row.name.textContent;
  write(row.priceCell, price);
  write(row.valueCell, money.format(row.price * row.quantity));
}

function clear() {
  rows.clear();
  const cell = make('td', 'nothing', 'Nothing held');
  cell.colSpan = 4;
  const row = make('tr');
  row.append(cell);
  byId('positions').replaceChildren(row);
  showSum();
}

function showSum() {
  if (rows.size === 0 && !byId('positions').querySelector('.nothing')) {
    clear();
    return;
  }
  let sum = 0;
  for (const row of rows.values()) sum += row.price * row.quantity;
  write(byId('total'), money.format(sum));
}
